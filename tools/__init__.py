"""What `make` runs: checks and generators of this repository. No part of the product."""
