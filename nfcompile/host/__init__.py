"""The other half of the gateway: what the site needs of the machine besides the ruleset."""
