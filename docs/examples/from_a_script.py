import time

from huaweicloudsdkcbr.v1 import (
    CbrClient,
    CheckpointReplicateParam,
    CheckpointReplicateReq,
    CopyCheckpointRequest,
    ListBackupsRequest,
)


def replicate_and_wait(client: CbrClient, route: dict[str, str]) -> None:
    replicate = CheckpointReplicateReq(replicate=CheckpointReplicateParam(**route))
    client.copy_checkpoint(CopyCheckpointRequest(body=replicate))
    while True:
        time.sleep(60)
        found = client.list_backups(ListBackupsRequest(vault_id=route["vault_id"], show_replication=True))
        states = [record.status for backup in found.backups for record in backup.replication_records]
        if "fail" in states:
            raise RuntimeError("a copy has failed")
        if all(state == "success" for state in states):
            return
