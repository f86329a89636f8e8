"""A customer's templates: versions that never change, each approved by another credential than its author's."""
