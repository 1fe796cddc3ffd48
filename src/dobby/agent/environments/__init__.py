"""Ways to install what a project needs: one file each, found by its name (core/plan.py)."""
