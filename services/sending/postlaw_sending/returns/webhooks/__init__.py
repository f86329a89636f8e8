"""What providers report of our messages by HTTPS."""
