"""What an Airflow connection says: its settings, its form, the addresses in the vendor's web app."""
