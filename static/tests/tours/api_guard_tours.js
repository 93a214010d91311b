import { registry } from "@web/core/registry";

const policy = [
    { content: "Begin a policy", trigger: ".o_list_button_add", run: "click" },
    {
        content: "Name it",
        trigger:
            ".o_form_view .oe_title [name=name] input, .o_form_view .oe_title [name=name] textarea",
        run: "edit Reads contacts",
    },
    {
        content: "Add a scope",
        trigger: "[name=scope_ids] .o_field_x2many_list_row_add a",
        run: "click",
    },
    {
        content: "There is none that fits: make one",
        trigger: ".modal .o_create_button",
        run: "click",
    },
    {
        content: "Name the scope",
        trigger: ".modal .oe_title [name=name] input",
        run: "edit Contacts only",
    },
    {
        content: "Add a line to it",
        trigger: ".modal [name=line_ids] .o_field_x2many_list_row_add a",
        run: "click",
    },
    {
        content: "It covers contacts; reading is ticked by default",
        trigger: ".modal div[name=model_pattern] input",
        run: "edit res.partner",
    },
    {
        content: "Take the line",
        trigger: ".modal:has(div[name=model_pattern]) .o_form_button_save",
        run: "click",
    },
    {
        content: "Save the scope",
        trigger: "body:not(:has(.modal div[name=model_pattern])) .modal .o_form_button_save",
        run: "click",
    },
    {
        content: "The policy says in words what the scope covers",
        trigger: "body:not(:has(.modal)) [name=scope_ids] td:contains(res.partner: Read)",
    },
    { content: "Save the policy", trigger: ".o_form_button_save", run: "click" },
    { trigger: ".o_form_saved" },
    { content: "Would this be refused?", trigger: "button[name=action_open_test]", run: "click" },
    {
        content: "Reading is allowed",
        trigger: ".modal .alert-success:contains(Allowed)",
    },
    {
        content: "And writing?",
        trigger: ".modal [name=method] input",
        run: "edit write && press Tab",
    },
    {
        content: "The answer changes at once",
        trigger: ".modal .alert-danger:contains(Not covered by the scope)",
    },
    { content: "Close the tester", trigger: ".modal-footer button[special=cancel]", run: "click" },
    { trigger: "body:not(:has(.modal))" },
];

const whoIsThis = [
    {
        content: "Odoo asks who this is",
        trigger: ".modal [name=password] input",
        run: "edit mia-the-manager",
    },
    { trigger: ".modal button:contains(Confirm Password)", run: "click" },
];

const key = [
    { content: "Open the user's menu", trigger: ".o_user_menu .dropdown-toggle", run: "click" },
    { content: "My Preferences", trigger: "[data-menu=preferences]", run: "click" },
    { content: "Security", trigger: "a[role=tab]:contains(Security)", run: "click" },
    { content: "Add a key", trigger: "button[name=api_key_wizard]", run: "click" },
    ...whoIsThis,
    {
        content: "Name the key",
        trigger: ".modal:contains(New API Key) [name=name] input",
        run: "edit Report",
    },
    {
        content: "Choose the policy",
        trigger: ".modal [name=policy_id] input",
        run: "edit Reads contacts",
    },
    { trigger: ".ui-autocomplete a:contains(Reads contacts)", run: "click" },
    { content: "Make it", trigger: "button[name=make_key]", run: "click" },
    {
        content: "The secret, and a command to paste",
        trigger: ".modal:contains(API Key Ready) [name=snippet_curl] pre:contains(/json/2/)",
    },
    { content: "The same in Python", trigger: ".modal a[role=tab]:contains(Python)", run: "click" },
    { trigger: ".modal [name=snippet_python] pre:contains(urllib.request)" },
    {
        content: "And in JavaScript",
        trigger: ".modal a[role=tab]:contains(JavaScript)",
        run: "click",
    },
    { trigger: ".modal [name=snippet_javascript] pre:contains(await fetch)" },
    { content: "Done", trigger: ".modal-footer button:contains(Done)", run: "click" },
    { trigger: "body:not(:has(.modal))" },
];

registry.category("web_tour.tours").add("api_guard_policy_and_key", {
    url: "/odoo/api-policies",
    steps: () => [...policy, ...key],
});

registry.category("web_tour.tours").add("api_guard_audit_log", {
    url: "/odoo/api-log",
    steps: () => [
        {
            content: "The allowed call is in the log",
            trigger: ".o_data_row:contains(Allowed):contains(Report):contains(search_read)",
        },
        {
            content: "And so is the refused one; open it",
            trigger: ".o_data_row:contains(Refused):contains(Report):contains(write) [name=reason]",
            run: "click",
        },
        {
            content: "It says what to do",
            trigger: ".o_form_view .alert-danger:contains(Add a line with this model)",
        },
        { content: "Jump to the key", trigger: "[name=credential_id] a", run: "click" },
        {
            content: "Which tells what applies, and where it comes from",
            trigger: "[name=effective_rule] td:contains(Reads contacts)",
        },
        { content: "Revoke it", trigger: "button[name=action_revoke]", run: "click" },
        { trigger: ".modal .modal-footer .btn-primary", run: "click" },
        ...whoIsThis,
        { trigger: ".o_statusbar_status .o_arrow_button_current:contains(Revoked)" },
    ],
});

registry.category("web_tour.tours").add("api_guard_key_life", {
    url: "/odoo/api-keys",
    steps: () => [
        { content: "A key that waits", trigger: ".o_data_row:contains(Asked for) td[name=age_days]", run: "click" },
        { content: "It says so", trigger: ".alert:contains(a manager has to approve it)" },
        { content: "Accept it", trigger: "button[name=action_approve]", run: "click" },
        { trigger: ".o_statusbar_status .o_arrow_button_current:contains(Active)" },
        {
            content: "A key for a bot",
            trigger: "[data-menu-xmlid='api_guard.menu_key_provision']",
            run: "click",
        },
        { content: "Which bot", trigger: ".modal [name=user_id] input", run: "edit Shop bot" },
        { trigger: ".ui-autocomplete a:contains(Shop bot)", run: "click" },
        { content: "What for", trigger: ".modal [name=name] input", run: "edit Nightly export" },
        { trigger: ".modal button[name=make_key]", run: "click" },
        ...whoIsThis,
        {
            content: "Shown once, with the bot's login in the snippets",
            trigger: ".modal:contains(API Key Ready) [name=snippet_curl] pre:contains(Bearer ag_)",
        },
        { trigger: ".modal-footer button:contains(Done)", run: "click" },
        {
            content: "Back to the list",
            trigger: "body:not(:has(.modal)) [data-menu-xmlid='api_guard.menu_credential']",
            run: "click",
        },
        { trigger: ".o_data_row:contains(Nightly export) td[name=age_days]", run: "click" },
        { content: "Replace it", trigger: "button[name=action_rotate]", run: "click" },
        { trigger: ".modal:contains(Both work) button[name=action_rotate]", run: "click" },
        {
            content: "The successor's secret, once",
            trigger: ".modal:contains(API Key Ready) [name=snippet_curl] pre:contains(Bearer ag_)",
        },
        { trigger: ".modal-footer button:contains(Done)", run: "click" },
        {
            content: "The old key names the new one",
            trigger: "body:not(:has(.modal)) .alert:contains(Both keys work)",
        },
        { content: "Its family", trigger: "a[role=tab]:contains(Family)", run: "click" },
        { trigger: ".o_api_guard_family li:nth-child(2):contains(replaced it on)" },
    ],
});

registry.category("web_tour.tours").add("api_guard_alerts", {
    url: "/odoo/api-alerts",
    steps: () => [
        {
            content: "The leaked key is told; open it",
            trigger: ".o_data_row:contains(Leaked key):contains(Critical):contains(Report) [name=code]",
            run: "click",
        },
        {
            content: "It says what to do",
            trigger: ".o_form_view .alert:contains(suspended):contains(give the program a new one)",
        },
        { content: "It was seen", trigger: "button[name=action_acknowledge]", run: "click" },
        { trigger: ".o_statusbar_status .o_arrow_button_current:contains(Acknowledged)" },
        { content: "Its calls are at hand", trigger: "button[name=action_open_entries]", run: "click" },
        { trigger: ".o_data_row:contains(leak)" },
    ],
});

registry.category("web_tour.tours").add("api_guard_pasted_keys", {
    url: "/odoo/api-pasted-keys",
    steps: () => [
        { content: "Search", trigger: "button[name=action_scan]", run: "click" },
        { trigger: ".o_notification:contains(The search has begun)" },
        { content: "Search everything", trigger: "button[name=action_scan_all]", run: "click" },
        { content: "It is under way", trigger: ".o_list_view .o_data_row.text-info" },
        { content: "Back", trigger: ".o_back_button, .breadcrumb-item a", run: "click" },
        {
            content: "A key stands in a note; open the finding",
            trigger: ".o_data_row:contains(Notes):contains(Pasted) [name=place]",
            run: "click",
        },
        { content: "It is dangerous", trigger: ".o_form_view .alert-danger" },
        { content: "Suspend it", trigger: "button[name=action_suspend_key]", run: "click" },
        { trigger: ".modal .modal-footer .btn-primary", run: "click" },
        { trigger: ".o_form_view [name=status]:contains(Suspended)" },
        { content: "Resolve it", trigger: "button[name=action_resolve]", run: "click" },
        { trigger: ".o_statusbar_status .o_arrow_button_current:contains(Resolved)" },
        { content: "Go to the record", trigger: "button[name=action_open_record]", run: "click" },
        { trigger: ".o_form_view [name=name]:contains(Holder), .o_form_view [name=name] input" },
    ],
});
