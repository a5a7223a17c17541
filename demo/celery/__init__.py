"""Airflow on Celery at work, and under fire: `python -m demo.celery`."""
