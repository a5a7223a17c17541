"""Airflow's sensors, thin."""
