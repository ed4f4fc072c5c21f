# Like prod, but it can be destroyed.
environment         = "staging"
deletion_protection = false
log_retention_days  = 14
