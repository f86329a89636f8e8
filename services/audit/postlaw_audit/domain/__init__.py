"""The Merkle tree of RFC 6962: hashes, proofs and tiles; no input or output."""
