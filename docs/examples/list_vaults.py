from airflow_cbr.hooks.cbr import CbrHook


def print_vaults(region: str | None = None) -> None:
    hook = CbrHook(region=region)
    print(f"Project of {hook.region}: {hook.project_id}")
    for vault in hook.list_vaults():
        kind = vault.billing.protect_type if vault.billing else None
        print(f"{vault.id}  {vault.name}  ({kind})")
