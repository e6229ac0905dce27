"""What people and machines call: answers, sign-in, confirmation, pages."""
