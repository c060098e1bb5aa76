"""The dashboard at /dashboard: pages rendered here, no build step, nothing from elsewhere."""
