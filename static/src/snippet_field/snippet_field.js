import { CopyButton } from "@web/core/copy_button/copy_button";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { standardFieldProps } from "@web/views/fields/standard_field_props";
import { Component } from "@odoo/owl";

/** Code to paste elsewhere: several lines as they are, and a button that copies them. */
export class SnippetField extends Component {
    static template = "api_guard.SnippetField";
    static components = { CopyButton };
    static props = { ...standardFieldProps };

    setup() {
        this.copyText = _t("Copy");
        this.successText = _t("Copied");
    }

    get value() {
        return this.props.record.data[this.props.name] || "";
    }
}

registry.category("fields").add("api_guard_snippet", {
    component: SnippetField,
    displayName: _t("Code to copy"),
    supportedTypes: ["text"],
});
