import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";
import { Component, onMounted, onWillStart, onWillUnmount, useEffect, useState } from "@odoo/owl";

const SECONDS = 2.5;
const SECONDS_AFTER_FAILURE = 10;

const COLORS = { ok: "bg-success", near: "bg-warning", full: "bg-danger" };

/** What is used of each limit of a key, asked anew every few seconds as long as somebody can see it. */
export class LimitGauge extends Component {
    static template = "api_guard.LimitGauge";
    static props = { ...standardWidgetProps };

    setup() {
        this.orm = useService("orm");
        this.state = useState({ resId: false, isReadable: true, note: "", limits: [] });
        this.isOver = false;
        this.onVisible = () => this.refresh();
        onWillStart(() => this.load());
        onMounted(() => document.addEventListener("visibilitychange", this.onVisible));
        useEffect(
            (resId) => {
                // another key is shown in the same form
                resId === this.state.resId ? this.plan() : this.refresh();
            },
            () => [this.resId],
        );
        onWillUnmount(() => {
            this.isOver = true;
            clearTimeout(this.timer);
            document.removeEventListener("visibilitychange", this.onVisible);
        });
    }

    get resId() {
        return this.props.record.resId;
    }

    get isLoaded() {
        return this.resId === this.state.resId;
    }

    async refresh() {
        clearTimeout(this.timer);
        if (document.visibilityState === "visible") {
            await this.load();
            this.plan();
        }
    }

    plan() {
        clearTimeout(this.timer);
        if (!this.isOver) {
            const seconds = this.state.isReadable ? SECONDS : SECONDS_AFTER_FAILURE;
            this.timer = setTimeout(() => this.refresh(), seconds * 1000);
        }
    }

    async load() {
        const resId = this.resId;
        let found = { is_readable: false, note: "", limits: [] };
        try {
            // silent: no sign of loading every few seconds
            found = await this.orm.silent.call("api.credential", "limit_gauge", [resId]);
        } catch {
            // the server is gone, or the session: the gauge says that it knows nothing
        }
        if (!this.isOver && resId === this.resId) {
            const { is_readable: isReadable, note, limits } = found;
            Object.assign(this.state, { resId, isReadable, note, limits });
        }
    }

    color(limit) {
        return COLORS[limit.level];
    }

    width(limit) {
        return `width: ${Math.min(100, (100 * limit.value) / limit.greatest)}%`;
    }
}

registry.category("view_widgets").add("api_guard_limit_gauge", { component: LimitGauge });
