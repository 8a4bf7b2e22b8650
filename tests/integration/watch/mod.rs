//! `watch`, with the built-in Marathon and the real HAProxy.
//!
//! What it has to survive, and the tests that show it:
//!
//! | fault | test |
//! |---|---|
//! | another leader, all masters gone | `answers::leaders_may_change_and_all_be_gone`, `survives::a_marathon_that_goes_and_comes_back_is_told_once_each` |
//! | a standby | `answers::a_standby_alone_will_do` |
//! | 401, 302 in circles, 500, 503, a page of HTML, a reset | `answers::refusals_are_outlived`, `edits::another_password_ends_a_refusal` |
//! | no head, half a body, a cut body, a trickle | `answers::answers_that_do_not_come_to_an_end_are_outlived` |
//! | garbage | `answers::answers_that_make_no_sense_are_outlived` |
//! | a stream that is half open, or that never says a thing | `answers::a_stream_that_is_half_open_is_given_up`, `answers::a_stream_on_which_nothing_ever_comes_is_told_once_and_asked_around`, and beside `marathon::events::follow` |
//! | an event of a gigabyte | `answers::an_event_of_a_gigabyte_costs_no_memory` |
//! | clock jumps | `hosts::the_clock_may_jump_either_way` |
//! | DNS gone | `names::names_may_be_gone_for_a_while` |
//! | the disk full | `hosts::a_full_disk_is_told_of_once_and_made_up_for` |
//! | HAProxy missing | `hosts::a_haproxy_that_is_gone_is_awaited` |
//! | HAProxy refusing | `hosts::a_haproxy_that_refuses_all_is_told_of_once`, `hosts::a_program_that_is_put_right_is_noticed` |
//! | HAProxy refusing without a name | `suspected`, `refused` |
//! | a reload that fails | `survives::a_reload_that_failed_is_tried_again_by_itself` |
//! | a template, an option or a certificate that is broken | `broken`, `edits` |
//! | one of them that has no end | `endless` |

mod answers;
pub(crate) mod asked;
mod broken;
mod callbacks;
mod container;
mod edits;
mod endless;
mod follows;
mod full_disk;
mod haproxy;
mod hosts;
mod load;
mod marathon_lb;
mod names;
mod operators;
mod ready;
pub(crate) mod servers;
mod several;
mod signals;
mod streams;
mod survives;
mod suspected;
mod systemd;
mod unanswered;

use crate::host::Web;
use crate::watcher::Watcher;

/// A resync that no test lives to see: nothing but what happens leads to a turn.
const NEVER: &[&str] = &["--resync", "1h"];

/// Every fetch of the whole cluster so far.
fn fetches(web: &Web) -> u64 {
    web.marathon.requests("/v2/apps")
}
