"""Apache Airflow provider for Huawei Cloud CBR (Cloud Backup and Recovery)."""

__version__ = "0.1.0"
