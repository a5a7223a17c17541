"""Sans-I/O values that everything else is built on: no socket, no Airflow, no vendor."""
