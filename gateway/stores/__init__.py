"""Everything that is kept in Redis or Valkey: budgets, callers, factors, flows. Nobody else imports redis."""
