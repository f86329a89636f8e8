"""gRPC as every service speaks it: mutual TLS, a deny-by-default method table, a caller's context, deadlines, errors with details."""
