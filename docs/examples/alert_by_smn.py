import os

from airflow.sdk import DAG

from airflow_cbr.notifications import failure_payload, failure_text
from airflow_cbr.operators.cbr import CbrReplicateCheckpointOperator


def publish_to_smn(context):
    # pip install huaweicloudsdksmn; the topic's subscribers get mail, SMS, or an HTTPS call.
    from huaweicloudsdkcore.auth.credentials import BasicCredentials
    from huaweicloudsdksmn.v2 import PublishMessageRequest, PublishMessageRequestBody, SmnClient
    from huaweicloudsdksmn.v2.region.smn_region import SmnRegion

    said = failure_payload(context)
    body = PublishMessageRequestBody(subject=f"CBR: {said['task_id']} failed", message=failure_text(context))
    credentials = BasicCredentials(os.environ["SMN_ACCESS_KEY"], os.environ["SMN_SECRET_KEY"])
    client = SmnClient.new_builder().with_credentials(credentials).with_region(SmnRegion.value_of("cn-north-4")).build()
    client.publish_message(PublishMessageRequest(topic_urn=os.environ["SMN_TOPIC_URN"], body=body))


with DAG("alert_by_smn", schedule=None) as dag:
    CbrReplicateCheckpointOperator(
        task_id="replicate",
        vault_id="3b5816b5-f29c-4172-9d9a-76c719a659ce",
        destination_region="cn-shenzhen-1",
        destination_project_id="68589cac08274b82b4e254268a3862d8",
        destination_vault_id="0ca3eb86-8800-46da-9c37-9d657a825274",
        on_failure_callback=publish_to_smn,
    )
