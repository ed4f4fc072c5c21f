# The defaults are meant for production. Name who is told when the board is not to be trusted:
# alarm_email        = "oncall@example.com"
# monthly_budget_usd = 100
environment        = "prod"
log_retention_days = 90
