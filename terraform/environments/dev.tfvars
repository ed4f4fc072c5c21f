# To try things out: cheap, quick to see an activity counted, and gone without a trace after a destroy.
environment            = "dev"
batching               = "prompt"
deletion_protection    = false
point_in_time_recovery = false
log_retention_days     = 7
log_level              = "DEBUG"

# A new account may run 10 functions at once, of which none can be reserved.
reserve_concurrency = false
