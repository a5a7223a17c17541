"""Airflow's triggers, thin."""
