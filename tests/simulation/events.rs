//! What happens on a simulated host, and what breaks.
//!
//! A new fault needs three lines here: one that lasts is an arm of [`World::event`], one that
//! breaks a turn in the middle belongs into [`World::next_fault`], and both end in
//! [`World::heal`].

use std::path::Path;

use haproxy_marathon_bridge::disk::{Disk as _, Fault, PowerCut};
use nix::errno::Errno;

use crate::haproxy::{CheckFault, ReloadFault};
use crate::outside::SourceFault;
use crate::promises::Broken;
use crate::random::Random;
use crate::world::{CFG, World};

impl World<'_> {
    pub(crate) fn pass_time(&mut self, random: &mut Random) {
        match random.below(20) {
            0 => self.now -= 3_000,
            1..=3 => self.now += 700,
            4..=7 => self.now += 5,
            8 => (),
            _ => self.now += 60,
        }
    }

    /// Changes something that stays until another event changes it back.
    pub(crate) fn event(&mut self, random: &mut Random) {
        let said = match random.below(24) {
            0..=7 => self.outside.cluster.borrow_mut().change(random),
            8 => self.outside.cluster.borrow_mut().shrink(random),
            9..=11 => {
                let fault = random.pick(&SourceFault::ALL);
                self.outside.source_fault.set(fault);
                if !fault.tells_events() {
                    self.stream.break_off(self.clock);
                }
                format!("Marathon: {fault:?}")
            }
            12 => {
                self.outside.source_fault.set(SourceFault::None);
                "Marathon is well".to_owned()
            }
            13 => {
                let names = &mut *self.outside.names.borrow_mut();
                names.all_down = !names.all_down;
                format!("{names:?}")
            }
            14 => {
                let names = &mut *self.outside.names.borrow_mut();
                if random.percent(50) {
                    names.gone = Some(random.below(3));
                } else {
                    names.moved = names.moved.wrapping_add(1);
                }
                format!("{names:?}")
            }
            15 => {
                let fault = random.pick(&CheckFault::ALL);
                self.haproxy.check_fault.set(fault);
                format!("check: {fault:?}")
            }
            16 | 17 => {
                let fault = random.pick(&ReloadFault::ALL);
                self.haproxy.reload_fault.set(fault);
                format!("reload: {fault:?}")
            }
            18 => {
                self.haproxy.stop();
                "HAProxy is stopped".to_owned()
            }
            19 => format!(
                "HAProxy is started behind our back: {:?}",
                self.haproxy.start()
            ),
            20 => {
                let port = 10_000 + u16::try_from(random.below(14)).expect("it is below 14");
                let is_free = self.haproxy.taken.get().is_none() && !self.haproxy.listens(port);
                let taken = is_free.then_some(port);
                self.haproxy.taken.set(taken);
                format!("ports of others: {taken:?}")
            }
            21 => {
                self.end_program();
                "the program ends".to_owned()
            }
            22 => self.lose(random),
            _ => {
                let errno = random.pick(&[Errno::ENOSPC, Errno::EIO, Errno::EROFS]);
                self.lasting = match self.lasting {
                    None => Some(Fault::From(1, errno)),
                    Some(_) => None,
                };
                format!("disk: {:?}", self.lasting)
            }
        };
        self.note(&said);
    }

    /// What we remember, or what lies in the place of `haproxy.cfg`.
    fn lose(&mut self, random: &mut Random) -> String {
        let state = Self::folder().path().join("state.json");
        let told = match random.below(6) {
            0 => {
                self.disk.put(&state, b"{\"format\": 1, \"applied\"");
                "state.json is cut"
            }
            1 => {
                self.disk.put(&state, b"{\"format\": 99}");
                "state.json is of a newer program"
            }
            2 | 3 => {
                self.remove(&state);
                "state.json is gone"
            }
            4 => {
                self.remove(Path::new(CFG));
                return "haproxy.cfg is gone".to_owned();
            }
            _ => {
                let text = "global\n  daemon\n\nlisten by-hand\n  bind 0.0.0.0:1\n";
                self.disk.put(Path::new(CFG), text.as_bytes());
                self.haproxy.trust_installed();
                return "somebody writes haproxy.cfg by hand".to_owned();
            }
        };
        self.end_program();
        self.forgot = true;
        told.to_owned()
    }

    pub(crate) fn remove(&self, path: &Path) {
        let folder = path.parent().expect("it lies in a folder");
        self.disk.remove(path).expect("a file can be removed");
        if self.disk.list(folder).is_ok_and(|names| !names.is_empty()) {
            self.disk.sync_folder(folder).expect("the folder is there");
        }
    }

    /// What breaks the next turn on its way, if anything does.
    pub(crate) fn next_fault(&mut self, random: &mut Random) -> Fault {
        self.haproxy.restarted_meanwhile.set(random.percent(5));
        if let Some(lasting) = self.lasting {
            return lasting;
        }
        // A turn with two maps takes about as many steps.
        let step = 1 + random.below(60);
        match random.below(10) {
            0..=2 => Fault::KilledAfter(step - 1),
            3 => Fault::Once(step, Errno::ENOSPC),
            4 => Fault::Once(step, Errno::EIO),
            5 => Fault::From(step, Errno::ENOSPC),
            _ => Fault::None,
        }
    }

    /// Faults that kill, and most of those of a reload, do not last.
    pub(crate) fn after_turn(&mut self) {
        if self.haproxy.check_fault.get() == CheckFault::Killed {
            self.haproxy.check_fault.set(CheckFault::None);
        }
        if self.outside.source_fault.get() == SourceFault::Hangs {
            self.outside.source_fault.set(SourceFault::None);
        }
        if self.haproxy.reload_fault.get() != ReloadFault::Refused {
            self.haproxy.reload_fault.set(ReloadFault::None);
        }
    }

    pub(crate) fn power_cut(&mut self, cut: PowerCut) -> Result<(), Broken> {
        self.disk.power_cut(cut);
        let started = self.haproxy.start();
        self.note(&format!(
            "power cut ({cut:?}); HAProxy after it: {started:?}"
        ));
        self.count("power cut");
        self.check_pause()
    }

    /// All faults end. A host name that is gone stays so.
    pub(crate) fn heal(&mut self) {
        self.lasting = None;
        self.outside.source_fault.set(SourceFault::None);
        self.outside.names.borrow_mut().all_down = false;
        self.haproxy.check_fault.set(CheckFault::None);
        self.haproxy.reload_fault.set(ReloadFault::None);
        self.haproxy.taken.set(None);
        self.haproxy.restarted_meanwhile.set(false);
        let (_, warning) = Self::folder().load(&self.disk);
        if warning.is_some_and(|warning| warning.contains("newer")) {
            self.end_program();
            self.remove(&Self::folder().path().join("state.json"));
        }
        if self.pause.lasts {
            self.resume(Fault::None);
        }
        self.start_haproxy_if_down();
    }

    /// As a supervisor would.
    pub(crate) fn start_haproxy_if_down(&mut self) {
        if !self.haproxy.is_told || self.haproxy.running.borrow().is_some() {
            return;
        }
        let mut started = self.haproxy.start();
        if started.is_err() {
            // An installed file may name a host that is gone, and no program of ours runs when
            // HAProxy starts.
            self.outside.names.borrow_mut().gone = None;
            started = self.haproxy.start();
        }
        self.note(&format!("HAProxy is started: {started:?}"));
    }
}
