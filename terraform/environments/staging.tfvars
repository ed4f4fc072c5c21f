# Like prod, but it can be destroyed. Choose its readers as in prod.tfvars.
environment         = "staging"
deletion_protection = false
log_retention_days  = 14
