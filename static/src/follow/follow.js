import { registry } from "@web/core/registry";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";
import { Component, onMounted, onWillUnmount, xml } from "@odoo/owl";

const SECONDS = 2;

/** The record is read anew every few seconds as long as this is shown and somebody can see it. */
export class Follow extends Component {
    static template = xml`<div class="o_api_guard_follow"/>`;
    static props = { ...standardWidgetProps };

    setup() {
        onMounted(() => this.plan());
        onWillUnmount(() => clearTimeout(this.timer));
    }

    plan() {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.refresh(), SECONDS * 1000);
    }

    async refresh() {
        if (document.visibilityState === "visible") {
            await this.props.record.load();
        }
        this.plan();
    }
}

registry.category("view_widgets").add("api_guard_follow", { component: Follow });
