# For experiments: cheap, counts an activity at once, and leaves nothing behind after a destroy.
environment            = "dev"
batching               = "prompt"
deletion_protection    = false
point_in_time_recovery = false
log_retention_days     = 7

# A new account may run 10 functions at once and cannot reserve any of them. Uncomment this there:
# reserve_concurrency = false
