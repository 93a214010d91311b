import { registry } from "@web/core/registry";

registry.category("web_tour.tours").add("api_guard_second_factor", {
    steps: () => [
        {
            content: "A policy asks for it, and the form says so",
            trigger: ".o_form_view .alert-warning:contains(until its second factor is set up)",
        },
        { trigger: "button[name=action_set_up_second_factor]:contains(Second factor)", run: "click" },
        { trigger: ".modal [name=password] input", run: "edit mia-the-manager" },
        { trigger: ".modal button[name=run_check]", run: "click" },
        { content: "It can be scanned", trigger: ".modal [name=picture] img" },
        { content: "And copied", trigger: ".modal [name=secret]:contains(JBSWY3DPEHPK3PXP)" },
        {
            content: "A wrong code is not taken",
            trigger: ".modal [name=code] input",
            run: "edit 12345",
        },
        { trigger: ".modal button[name=confirm]", run: "click" },
        {
            trigger: ".modal:contains(not the code of this moment) .modal-footer .btn-primary:contains(Close)",
            run: "click",
        },
        {
            content: "The right one is; the test has put it into the key's name",
            trigger: ".modal [name=code] input",
            run: ({ edit }) => edit(/\d{6}/.exec(document.querySelector(".modal-title").textContent)[0]),
        },
        { trigger: ".modal button[name=confirm]", run: "click" },
        { content: "The recovery codes", trigger: ".modal [name=codes]:contains(-)" },
        { trigger: ".modal-footer button:contains(Done)", run: "click" },
        {
            content: "It is set up",
            trigger: "body:not(:has(.modal)) [name=recovery_codes_left]:contains(10)",
        },
        {
            trigger: "button[name=action_remove_second_factor]",
            run: "click",
        },
        { trigger: ".modal .modal-footer .btn-primary", run: "click" },
        { trigger: "body:not(:has(.modal)) .alert-warning:contains(until its second factor)" },
    ],
});
