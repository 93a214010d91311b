import { registry } from "@web/core/registry";

registry.category("web_tour.tours").add("api_guard_witness", {
    steps: () => [
        { trigger: ".o_list_button_add, .o-kanban-button-new", run: "click" },
        { trigger: "[name=name] input", run: "edit Our file" },
        { trigger: "[name=path] input", run: "edit ../vault.jsonl" },
        { content: "Nothing of others is asked", trigger: ".o_form_view:not(:has([name=url] input))" },
        { trigger: ".o_form_button_save", run: "click" },
        {
            content: "No other file of the server",
            trigger: ".modal:contains(not allowed) .modal-footer .btn-primary, .o_notification:contains(not allowed) button",
            run: "click",
        },
        { trigger: "[name=path] input", run: "edit checkpoints.jsonl" },
        { trigger: ".o_form_button_save", run: "click" },
        { trigger: ".o_form_saved button[name=action_test], button[name=action_test]", run: "click" },
        { content: "It is told", trigger: ".o_notification:contains(was told of checkpoint)" },
        { trigger: ".o_statusbar_status .o_arrow_button_current:contains(Up to date)" },
    ],
});

registry.category("web_tour.tours").add("api_guard_consistency", {
    steps: () => [
        { trigger: ".o_list_view thead .o_list_record_selector input", run: "click" },
        { trigger: ".o_control_panel .o_cp_action_menus button:contains(Action)", run: "click" },
        { trigger: ".o-dropdown--menu .o-dropdown-item:contains(Compare checkpoints)", run: "click" },
        { trigger: ".modal .alert-success:contains(Only appended to in between)" },
        { content: "The proof is a file", trigger: ".modal button[name=action_download]" },
        { trigger: ".modal-footer button:contains(Close)", run: "click" },
        { trigger: "body:not(:has(.modal)) .o_list_view" },
    ],
});
