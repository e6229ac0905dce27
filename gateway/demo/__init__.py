"""What stands behind the gateway in the demo: an employment application, a partner's SSO, a synthetic population."""
