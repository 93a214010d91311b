import { registry } from "@web/core/registry";

registry.category("web_tour.tours").add("api_guard_verify", {
    steps: () => [
        {
            content: "Ask for a verification",
            trigger: ".o_control_panel button[name=action_verify_all]",
            run: "click",
        },
        {
            content: "It is under way, and says how far it is",
            trigger: ".o_form_view [name=progress]",
        },
        {
            content: "Its end shows without a reload",
            trigger: ".o_form_view .alert-success:contains(what was sealed and signed)",
        },
        { trigger: ".o_back_button, .breadcrumb-item a", run: "click" },
        { content: "It is listed", trigger: ".o_data_row:contains(Intact):contains(A person)" },
    ],
});

registry.category("web_tour.tours").add("api_guard_proof", {
    steps: () => [
        {
            content: "A sealed entry has a mark; open it",
            trigger: ".o_data_row:contains(Allowed):has([name=is_sealed] .fa-certificate) [name=outcome]",
            run: "click",
        },
        {
            content: "Its place in the tree",
            trigger: ".o_form_view [name=checkpoint]:contains(Checkpoint)",
        },
        { trigger: ".o_form_view [name=proof]:contains(leaf_hash)" },
        { content: "Check it", trigger: "button[name=action_check_proof]", run: "click" },
        { trigger: ".o_notification:contains(The entry is what was sealed)" },
    ],
});

registry.category("web_tour.tours").add("api_guard_checkpoints", {
    steps: () => [
        { trigger: ".o_data_row [name=short_root]", run: "click" },
        { trigger: ".o_form_view [name=root] .o_clipboard_button" },
        { trigger: ".o_form_view [name=body]:contains(origin)" },
    ],
});

registry.category("web_tour.tours").add("api_guard_traffic", {
    steps: () => [
        { content: "A graph of 30 days", trigger: ".o_graph_renderer canvas" },
        { trigger: ".o_facet_value:contains(Last 30 days)" },
        { content: "The same as a table", trigger: ".o_switch_view.o_pivot", run: "click" },
        { trigger: ".o_pivot table:contains(Allowed)" },
        { trigger: ".o_switch_view.o_list", run: "click" },
        { trigger: ".o_data_row:contains(Allowed)" },
    ],
});
