"""The CBR and IAM protocol: signing, authentication, requests, typed answers. Knows nothing of Airflow."""
