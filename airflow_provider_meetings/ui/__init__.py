"""The Meetings pages in Airflow's own UI (3.1 and newer): a tab on each DAG run, and a page in the navigation.

They show what tasks have left in Airflow's database and ask no vendor anything.
"""
