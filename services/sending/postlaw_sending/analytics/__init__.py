"""What became of campaigns and what people did with them: counted from events, and nowhere about a person that they do not allow."""
