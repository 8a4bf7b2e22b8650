//! What a process says of its servers, in the columns of 2.6.12.

use std::fmt::Write as _;

use tokio::time::Instant;

use super::{Backend, Server};

pub(super) fn states(all: &[(&String, &Backend)]) -> String {
    let mut text = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
                    srv_uweight srv_iweight srv_time_since_last_change srv_check_status \
                    srv_check_result srv_check_health srv_check_state srv_agent_state \
                    bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
                    srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"
        .to_owned();
    for (backend, own) in all {
        for (name, server) in &own.servers {
            let Server {
                id,
                place: (address, port),
                weight,
                admin,
                ..
            } = server;
            let op = if server.is_up && !server.rests() {
                2
            } else {
                0
            };
            let check = 2 * u8::from(server.is_checked) + 4 * u8::from(server.checks);
            let _ = writeln!(
                text,
                "3 {backend} {id} {name} {address} {op} {admin} {weight} 1 1 8 0 0 {check} 0 0 1 - \
                 {port} - 0 0 - - 0"
            );
        }
    }
    text
}

pub(super) fn connections(all: &[(&String, &Backend)]) -> String {
    let mut text = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est \
                    unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[2]\n"
        .to_owned();
    let now = Instant::now();
    for (backend, own) in all {
        for (name, server) in &own.servers {
            let used = u8::from(now < server.busy_until);
            let (address, port) = &server.place;
            let _ = writeln!(
                text,
                "{backend}/{name} 3/{} {address} {port} - 5000 {used} 1 1 0 0 -1 0 0 0",
                server.id
            );
        }
    }
    text
}
