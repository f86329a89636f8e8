"""The worker: holds partitions, takes job batches, claims, hands over, settles."""
