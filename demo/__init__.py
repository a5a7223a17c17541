"""Runs every example DAG in a real Airflow against the sandbox: `python -m demo`."""
