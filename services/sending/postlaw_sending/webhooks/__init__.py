"""Customers are told of what happens, at addresses of theirs (promise X7): signed as Standard Webhooks has it, in order for each person."""
