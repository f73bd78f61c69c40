"""What Airflow knows about this provider without importing the rest of it.

Every Airflow process imports this module and calls :func:`get_provider_info` while it starts, and a mistake in the answer (a name that is
not the canonical name of the distribution, a value that is not of the schema's type) stops every Airflow command on the machine. So it
is one literal: nothing is read, computed or imported.
"""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata.

    :return: a dict as described by Airflow's ``provider_info.schema.json``. ``conn-fields`` and ``ui-field-behaviour`` are the
        connection form of Airflow 3.2 and newer; :class:`airflow_cbr.hooks.cbr.CbrHook` derives the form of Airflow 3.1 from them.
    """
    return {
        "package-name": "airflow-cbr",
        "name": "Huawei Cloud CBR",
        "description": "`Huawei Cloud CBR (Cloud Backup and Recovery) <https://www.huaweicloud.com/intl/en-us/product/cbr.html>`__: "
        "replicates the backups of a vault to another region, waits for the copies, and verifies them there.",
        "integrations": [
            {
                "integration-name": "Huawei Cloud CBR",
                "external-doc-url": "https://support.huaweicloud.com/intl/en-us/cbr/index.html",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "Huawei Cloud CBR", "python-modules": ["airflow_cbr.hooks.cbr"]}],
        "operators": [{"integration-name": "Huawei Cloud CBR", "python-modules": ["airflow_cbr.operators.cbr"]}],
        "sensors": [{"integration-name": "Huawei Cloud CBR", "python-modules": ["airflow_cbr.sensors.cbr"]}],
        "triggers": [{"integration-name": "Huawei Cloud CBR", "python-modules": ["airflow_cbr.triggers.cbr"]}],
        # Airflow loads it by its entry point; by this only where `[core] lazy_discover_providers` is off.
        "plugins": [{"name": "airflow_cbr", "plugin-class": "airflow_cbr.plugins.replication_page.CbrReplicationPagePlugin"}],
        "extra-links": [
            "airflow_cbr.links.cbr.CbrVaultLink",
            "airflow_cbr.links.cbr.CbrDestinationLink",
            "airflow_cbr.links.cbr.CbrReportLink",
            "airflow_cbr.links.cbr.CbrFailureLink",
        ],
        "asset-uris": [
            {
                "schemes": ["huaweicloud-cbr"],
                "handler": "airflow_cbr.assets.sanitize_uri",
                "factory": "airflow_cbr.assets.vault_asset",
                "to_openlineage_converter": "airflow_cbr.assets.openlineage_dataset",
            }
        ],
        "connection-types": [
            {
                "connection-type": "huaweicloud_cbr",
                "hook-class-name": "airflow_cbr.hooks.cbr.CbrHook",
                "hook-name": "Huawei Cloud CBR",
                "ui-field-behaviour": {
                    # The port is of no use, but Airflow 3.3.2 refuses to test a connection that has none: the page posts 0.
                    "hidden-fields": ["host", "schema"],
                    "relabeling": {
                        "port": "Port (not used; write 0)",
                        "login": "Access key (AK) or IAM user name",
                        "password": "Secret key (SK) or IAM password",
                    },
                    "placeholders": {
                        "port": "0: without it, Test answers that the port differs",
                        "login": "for example HPUAEXAMPLEEXAMPLE01",
                        "password": "stored encrypted, never shown again",
                        "domain_name": "for example acme",
                        "region": "for example cn-north-4",
                        "project_id": "32 hexadecimal digits; empty: looked up by the region's name",
                        "security_token": "only with temporary AK/SK",
                        "cloud": "myhuaweicloud.com",
                        "console": "console-intl.huaweicloud.com on the international site",
                        "cbr_endpoint": "https://cbr.{region}.myhuaweicloud.com",
                        "iam_endpoint": "https://iam.{region}.myhuaweicloud.com",
                        "agency_urn": "iam::<account id>:agency:<name>",
                        "agency_name": "for example backup-agency",
                        "agency_domain_name": "for example acme-backup",
                        "agency_duration": "3600",
                        "sts_endpoint": "https://sts.{region}.myhuaweicloud.com",
                        "ims_endpoint": "https://ims.{region}.myhuaweicloud.com",
                        "ecs_endpoint": "https://ecs.{region}.myhuaweicloud.com",
                        "metadata_endpoint": "http://169.254.169.254",
                        "verify": "true, false, or the path of a CA bundle",
                    },
                },
                "conn-fields": {
                    "auth_type": {
                        "label": "Authentication",
                        "description": "'aksk' signs every request with the access key (AK) and the secret key (SK); 'password' exchanges "
                        "the IAM user name and the IAM password for a token. The others need neither of the two fields, and no permanent "
                        "key: 'ecs_agency' asks the metadata service of the ECS server that Airflow runs on, 'pod_identity' "
                        "the identity that CCE gives the pod, and 'oidc' exchanges an OpenID Connect token at STS.",
                        "schema": {
                            "type": "string",
                            "enum": ["aksk", "password", "ecs_agency", "pod_identity", "oidc"],
                            "values_display": {
                                "aksk": "Access key (AK/SK)",
                                "password": "IAM user and password",
                                "ecs_agency": "Agency of the ECS server",
                                "pod_identity": "Pod identity (CCE)",
                                "oidc": "OpenID Connect token",
                            },
                            "default": "aksk",
                        },
                    },
                    "region": {
                        "label": "Source region",
                        "description": "The id of the source region, in which the backups are, for example cn-north-4. Empty: each task "
                        "names one.",
                        "schema": {"type": ["string", "null"], "pattern": "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"},
                    },
                    "project_id": {
                        "label": "Source project id",
                        "description": "The id of the project in the source region. When empty, the project named like the "
                        "region is looked up in IAM.",
                        "schema": {
                            "type": ["string", "null"],
                            "pattern": "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$",
                        },
                    },
                    "domain_name": {
                        "label": "Account name",
                        "description": "The name of the account (IAM domain) that the IAM user belongs to. Required when the "
                        "authentication is 'password'.",
                        "schema": {"type": ["string", "null"], "maxLength": 64},
                    },
                    "security_token": {
                        "label": "Security token",
                        "description": "The security token of a temporary access key (AK); empty for a permanent one.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "agency_urn": {
                        "label": "Agency URN (STS)",
                        "description": "An agency to assume on top of the authentication, at STS: iam::<account id>:agency:<name>. Its "
                        "keys are renewed before they end.",
                        "schema": {"type": ["string", "null"], "maxLength": 1500, "pattern": "^iam:"},
                    },
                    "agency_name": {
                        "label": "Agency name (IAM)",
                        "description": "An agency to assume on top of the authentication, at IAM; in place of the URN, and together with "
                        "the agency's account.",
                        "schema": {"type": ["string", "null"], "maxLength": 64},
                    },
                    "agency_domain_name": {
                        "label": "Agency account name",
                        "description": "The account (IAM domain) that made the agency. Required with the agency's name.",
                        "schema": {"type": ["string", "null"], "maxLength": 64},
                    },
                    "agency_duration": {
                        "label": "Agency session in seconds",
                        "description": "How long a key of the agency lasts: 900 to 43200 by URN (3600 when it is asked with a key that "
                        "ends itself), 900 to 86400 by name. Empty: 3600.",
                        "schema": {"type": ["string", "null"], "pattern": "^[0-9]{3,5}$"},
                    },
                    "cloud": {
                        "label": "Cloud domain",
                        "description": "The cloud domain that the service's host names end in. Change it for another cloud that runs CBR.",
                        "schema": {
                            "type": ["string", "null"],
                            "default": "myhuaweicloud.com",
                            "pattern": "^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*$",
                        },
                    },
                    "console": {
                        "label": "Console host",
                        "description": "The host of the console that links lead to. Empty: the console of the cloud domain, which for "
                        "myhuaweicloud.com is that of the Chinese site; the international site has console-intl.huaweicloud.com.",
                        "schema": {"type": ["string", "null"], "pattern": "^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*$"},
                    },
                    "cbr_endpoint": {
                        "label": "CBR endpoint",
                        "description": "Replaces https://cbr.{region}.{cloud}. Write {region} where the region belongs; an endpoint "
                        "without it serves the source region only, unless it is on this machine.",
                        "schema": {"type": ["string", "null"], "pattern": "^https?://"},
                    },
                    "iam_endpoint": {
                        "label": "IAM endpoint",
                        "description": "Replaces https://iam.{region}.{cloud}, in the same way.",
                        "schema": {"type": ["string", "null"], "pattern": "^https?://"},
                    },
                    "sts_endpoint": {
                        "label": "STS endpoint",
                        "description": "Replaces https://sts.{region}.{cloud}, in the same way.",
                        "schema": {"type": ["string", "null"], "pattern": "^https?://"},
                    },
                    "ims_endpoint": {
                        "label": "IMS endpoint",
                        "description": "Replaces https://ims.{region}.{cloud}, in the same way. Only restore drills ask it.",
                        "schema": {"type": ["string", "null"], "pattern": "^https?://"},
                    },
                    "ecs_endpoint": {
                        "label": "ECS endpoint",
                        "description": "Replaces https://ecs.{region}.{cloud}, in the same way. Only restore drills ask it.",
                        "schema": {"type": ["string", "null"], "pattern": "^https?://"},
                    },
                    "metadata_endpoint": {
                        "label": "Metadata endpoint",
                        "description": "Replaces http://169.254.169.254; a loopback or link-local address. Only 'ecs_agency' asks it.",
                        "schema": {"type": ["string", "null"], "pattern": "^https?://"},
                    },
                    "verify": {
                        "label": "TLS verification",
                        "description": "TLS verification: true (default) checks the service's certificate against the system's "
                        "authorities, a path checks it against that CA bundle, and false does not check it: never use that in production.",
                        "schema": {"type": ["string", "null"], "default": "true"},
                    },
                },
            }
        ],
    }
