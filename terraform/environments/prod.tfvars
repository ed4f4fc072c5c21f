environment        = "prod"
log_retention_days = 90

# Who may read the boards must be chosen. Uncomment one of these:
# readers = "public" # everyone who knows the address
# readers = "login"  # whoever logs in at the provider in oidc

# oidc = {
#   issuer    = "https://id.example.com"
#   audiences = ["https://podium.example.com"]
#   client_id = "podium-page"
# }
# self_reporting = true
