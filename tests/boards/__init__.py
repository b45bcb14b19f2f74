"""Makes the dashboards and alerts of ``etc/`` from one description; for developers."""
