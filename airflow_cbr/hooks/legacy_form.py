"""The connection form of Airflow 3.1, which asks the hook for it; newer versions read the provider's metadata.

Both forms come from one description: :func:`airflow_cbr.get_provider_info.get_provider_info`.
"""

from __future__ import annotations

from typing import Any

from airflow_cbr.get_provider_info import get_provider_info

__all__ = ["connection_form_widgets", "ui_field_behaviour"]


def connection_form_widgets() -> dict[str, Any]:
    """Return the extra fields as form fields.

    :return: field name to a wtforms field; Airflow 3.1 replaces wtforms with its own stand-in where it is not installed.
    """
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import PasswordField, StringField
    from wtforms.validators import any_of

    widgets: dict[str, Any] = {}
    for name, field in _connection_type()["conn-fields"].items():
        schema = field["schema"]
        secret = schema.get("format") == "password"
        widgets[name] = (PasswordField if secret else StringField)(
            field["label"],
            validators=[any_of(schema["enum"])] if "enum" in schema else [],
            description=field["description"],
            default=schema.get("default"),
            widget=(BS3PasswordFieldWidget if secret else BS3TextFieldWidget)(),
        )
    return widgets


def ui_field_behaviour() -> dict[str, Any]:
    """Return which standard fields are hidden or relabelled, and the placeholders."""
    behaviour = _connection_type()["ui-field-behaviour"]
    return {key.replace("-", "_"): value for key, value in behaviour.items()}


def _connection_type() -> dict[str, Any]:
    (connection_type,) = get_provider_info()["connection-types"]
    return dict(connection_type)
