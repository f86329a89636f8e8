"""What every service stands on; knows no word of mail or law."""

import os

# gRPC's core would write lines of its own to standard error, beside our log; it looks at this once, when grpc is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# We use no plugin of pydantic, and looking through every installed distribution for one takes a tenth of a second.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
