"""Airflow's hooks, thin."""
