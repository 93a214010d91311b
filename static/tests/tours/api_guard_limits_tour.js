import { registry } from "@web/core/registry";

registry.category("web_tour.tours").add("api_guard_limits", {
    steps: () => [
        { trigger: ".o_data_row:contains(Web shop) td[name=name]", run: "click" },
        { trigger: "a[role=tab]:contains(Limits)", run: "click" },
        {
            content: "A policy without limits says what that means, and offers a start",
            trigger: ".o_form_view .alert:contains(No limit) button[name=action_add_usual_limits]",
            run: "click",
        },
        {
            content: "The limits are there, in words",
            trigger:
                "[name=limit_ids] td:contains(At most 600 calls in a minute, counted for each key)",
        },
        {
            content: "One more",
            trigger: "[name=limit_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        {
            content: "So many calls",
            trigger: "[name=limit_ids] .o_selected_row [name=amount] input",
            run: "edit 3 && press Tab",
        },
        { trigger: "[name=limit_ids] td:contains(At most 3 calls in a minute)" },
        { content: "At once", trigger: "[name=max_at_once] input", run: "edit 4 && press Tab" },
        { trigger: ".o_form_button_save", run: "click" },
        { trigger: ".o_form_saved" },
    ],
});

registry.category("web_tour.tours").add("api_guard_limit_gauge", {
    steps: () => [
        { trigger: ".o_data_row:contains(Shop) td[name=age_days]", run: "click" },
        { trigger: "a[role=tab]:contains(Limits)", run: "click" },
        {
            content: "The limit that is used up, and when there is room again",
            trigger:
                ".o_api_guard_limit_gauge li:contains(3 of 3 calls in the last minute):contains(None left, room again in):contains(Web shop)",
        },
        {
            content: "As a reader of the screen is told it",
            trigger:
                ".o_api_guard_limit_gauge [role=meter][aria-valuenow='3'][aria-valuemax='3'][aria-valuetext*='3 of 3']",
        },
        { trigger: ".o_api_guard_limit_gauge li:contains(0 of 4 calls under way)" },
        { trigger: ".o_api_guard_limit_gauge li:contains(3 of 600 calls)" },
    ],
});

registry.category("web_tour.tours").add("api_guard_lockouts", {
    steps: () => [
        {
            content: "Who is locked; open it",
            trigger: ".o_data_row:contains(ada):contains(Locked):contains(XML-RPC) td[name=network]",
            run: "click",
        },
        {
            content: "It says why, and what to do",
            trigger: ".o_form_view .alert:contains(5 wrong secrets):contains(unlock)",
        },
        { trigger: "button[name=action_unlock]", run: "click" },
        { trigger: ".o_statusbar_status .o_arrow_button_current:contains(Unlocked)" },
        {
            content: "Nobody is locked any more",
            trigger: ".o_back_button, .breadcrumb-item a",
            run: "click",
        },
        { trigger: ".o_list_view:not(:has(.o_data_row:contains(ada)))" },
    ],
});
