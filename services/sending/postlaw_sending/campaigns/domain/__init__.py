"""What a campaign, its plan and its recipients are: plain values and rules."""
