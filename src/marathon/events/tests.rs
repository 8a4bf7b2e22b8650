//! Streams as versions of Marathon write them, from bytes to what is fetched.

use super::event::read;
use super::frames::Frames;
use super::plans::{Change, Plans};
use crate::cluster::AppId;

/// A task of `/shop` dies and is replaced.
const V0_8: &str = "event: event_stream_attached\r
data: {\"remoteAddress\":\"10.0.0.9\",\"eventType\":\"event_stream_attached\",\"timestamp\":\"2015-06-02T12:44:30.061Z\"}\r
\r
\r
event: status_update_event\r
data: {\"slaveId\":\"20150602-1-S6\",\"taskId\":\"shop.0664256e\",\"taskStatus\":\"TASK_FAILED\",\"message\":\"exit status: 256\",\"appId\":\"/shop\",\"host\":\"agent-5\",\"ports\":[31776],\"version\":\"2015-06-01T09:09:17.614Z\",\"eventType\":\"status_update_event\",\"timestamp\":\"2015-06-02T12:44:45.681Z\"}\r
\r
event: failed_health_check_event\r
data: {\"appId\":\"/other\",\"taskId\":\"other.1\",\"healthCheck\":{\"protocol\":\"HTTP\",\"portIndex\":0},\"eventType\":\"failed_health_check_event\",\"timestamp\":\"2015-06-02T12:44:46.000Z\"}\r
\r
event: status_update_event\r
data: {\"slaveId\":\"20150602-1-S0\",\"taskId\":\"shop.5dd78972\",\"taskStatus\":\"TASK_RUNNING\",\"message\":\"\",\"appId\":\"/shop\",\"host\":\"agent-4\",\"ports\":[31182],\"version\":\"2015-06-01T09:09:17.614Z\",\"eventType\":\"status_update_event\",\"timestamp\":\"2015-06-02T12:44:47.286Z\"}\r
\r
event: health_status_changed_event\r
data: {\"appId\":\"/shop\",\"taskId\":\"shop.5dd78972\",\"version\":\"2015-06-01T09:09:17.614Z\",\"alive\":true,\"eventType\":\"health_status_changed_event\",\"timestamp\":\"2015-06-02T12:44:49.000Z\"}\r
\r
";

/// A group of two apps is changed at once, by a heavy plan. Nobody posts an app.
const V1_4: &str = "event: event_stream_attached\r
data: {\"remoteAddress\":\"10.0.0.9\",\"eventType\":\"event_stream_attached\",\"timestamp\":\"2017-04-15T15:14:17.521Z\"}\r
\r
event: deployment_info\r
data: {\"plan\":{\"id\":\"74777cfe\",\"original\":{\"id\":\"/\",\"apps\":[],\"groups\":[{\"id\":\"/g\",\"apps\":[{\"id\":\"/g/a\"},{\"id\":\"/g/b\"},{\"id\":\"/g/c\"}]}]},\"target\":{\"id\":\"/\",\"apps\":[],\"groups\":[]},\"steps\":[{\"actions\":[{\"action\":\"ScaleApplication\",\"app\":\"/g/a\"}]},{\"actions\":[{\"action\":\"RestartApplication\",\"app\":\"/g/b\"}]}],\"version\":\"2017-04-15T15:14:20.264Z\"},\"currentStep\":{\"actions\":[{\"action\":\"ScaleApplication\",\"app\":\"/g/a\"}]},\"eventType\":\"deployment_info\",\"timestamp\":\"2017-04-15T15:14:20.338Z\"}\r
\r
event: group_change_success\r
data: {\"groupId\":\"/g\",\"version\":\"2017-04-15T15:14:20.264Z\",\"eventType\":\"group_change_success\",\"timestamp\":\"2017-04-15T15:14:20.400Z\"}\r
\r
event: instance_changed_event\r
data: {\"instanceId\":\"g_b.marathon-1\",\"condition\":\"Killing\",\"runSpecId\":\"/g/b\",\"agentId\":\"S1\",\"host\":\"agent-1\",\"runSpecVersion\":\"2017-04-14T15:14:20.264Z\",\"eventType\":\"instance_changed_event\",\"timestamp\":\"2017-04-15T15:14:21.000Z\"}\r
\r
\r
event: deployment_success\r
data: {\"id\":\"74777cfe\",\"plan\":{\"id\":\"74777cfe\",\"steps\":[{\"actions\":[{\"action\":\"ScaleApplication\",\"app\":\"/g/a\"}]},{\"actions\":[{\"action\":\"RestartApplication\",\"app\":\"/g/b\"}]}]},\"eventType\":\"deployment_success\",\"timestamp\":\"2017-04-15T15:14:25.338Z\"}\r
\r
event: deployment_success\r
data: {\"id\":\"1b2c\",\"plan\":{\"id\":\"1b2c\",\"original\":{},\"target\":{},\"steps\":[],\"version\":\"2017-04-15T15:14:00.000Z\"},\"eventType\":\"deployment_success\",\"timestamp\":\"2017-04-15T15:14:26.338Z\"}\r
\r
";

/// An app is posted, with light plans; a pod runs beside it.
const V1_8: &str = "event: event_stream_attached\r
data: {\"remoteAddress\":\"10.0.0.9\",\"eventType\":\"event_stream_attached\",\"timestamp\":\"2019-04-15T15:14:17.521Z\"}\r
\r
event: deployment_info\r
data: {\"plan\":{\"id\":\"9d01\"},\"currentStep\":{\"actions\":[{\"action\":\"StartApplication\",\"app\":\"/shop\"}]},\"eventType\":\"deployment_info\",\"timestamp\":\"2019-04-15T15:14:20.338Z\"}\r
\r
event: group_change_success\r
data: {\"groupId\":\"/\",\"version\":\"2019-04-15T15:14:20.264Z\",\"eventType\":\"group_change_success\",\"timestamp\":\"2019-04-15T15:14:20.400Z\"}\r
\r
event: api_post_event\r
data: {\"clientIp\":\"10.0.0.1\",\"uri\":\"/v2/apps/shop\",\"appDefinition\":{\"id\":\"/shop\",\"networks\":[{\"mode\":\"host\"}],\"labels\":{\"HAPROXY_GROUP\":\"external\"}},\"eventType\":\"api_post_event\",\"timestamp\":\"2019-04-15T15:14:20.500Z\"}\r
\r
event: pod_created_event\r
data: {\"clientIp\":\"10.0.0.1\",\"uri\":\"/v2/pods\",\"eventType\":\"pod_created_event\",\"timestamp\":\"2019-04-15T15:14:20.600Z\"}\r
\r
event: instance_health_changed_event\r
data: {\"instanceId\":\"shop.instance-1\",\"runSpecId\":\"/shop\",\"healthy\":null,\"runSpecVersion\":\"2019-04-15T15:14:20.264Z\",\"eventType\":\"instance_health_changed_event\",\"timestamp\":\"2019-04-15T15:14:22.000Z\"}\r
\r
event: deployment_step_success\r
data: {\"plan\":{\"id\":\"9d01\"},\"currentStep\":{\"actions\":[{\"action\":\"StartApplication\",\"app\":\"/shop\"}]},\"eventType\":\"deployment_step_success\",\"timestamp\":\"2019-04-15T15:14:23.338Z\"}\r
\r
event: deployment_success\r
data: {\"id\":\"9d01\",\"plan\":{\"id\":\"9d01\"},\"eventType\":\"deployment_success\",\"timestamp\":\"2019-04-15T15:14:23.400Z\"}\r
\r
event: deployment_success\r
data: {\"id\":\"older\",\"plan\":{\"id\":\"older\"},\"eventType\":\"deployment_success\",\"timestamp\":\"2019-04-15T15:14:24.400Z\"}\r
\r
";

#[test]
fn streams_in_the_form_of_each_version_say_what_to_fetch() {
    let group = "a group changed";
    let unknown = "a deployment ended whose apps were not told";
    for (stream, want) in [
        (V0_8, vec!["/shop", "/shop", "/shop"]),
        // The second deployment had begun before, and touched nothing.
        (V1_4, vec!["/g/a", "/g/a /g/b", "/g/b", "/g/a /g/b"]),
        (
            V1_8,
            vec!["/shop", group, "/shop", "/shop", "/shop", "/shop", unknown],
        ),
    ] {
        for size in [1, 7, 100, stream.len()] {
            let mut frames = Frames::new(10_000);
            let mut plans = Plans::default();
            let mut changes = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                frames.push(piece, |frame| changes.extend(plans.change(read(frame))));
            }
            let shown: Vec<String> = changes.iter().map(shown).collect();
            assert_eq!(shown, want, "{size}");
        }
    }
}

fn shown(change: &Change) -> String {
    match change {
        Change::Doubt(doubt) => doubt.to_string(),
        Change::Apps(apps) => {
            let ids: Vec<_> = apps.iter().map(AppId::as_str).collect();
            ids.join(" ")
        }
    }
}
