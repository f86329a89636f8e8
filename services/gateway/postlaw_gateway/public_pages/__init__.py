"""What the people see who get the mail: the pages behind an unsubscribe link, in their own language."""
