"""Airflow's operators, thin."""
