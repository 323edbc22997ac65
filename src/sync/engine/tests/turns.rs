//! Whatever happens, in whatever order: no panic, no spinning, no bound exceeded.

use super::*;
use crate::sync::reconcile::Found;

struct Chaos {
    bed: Bed,
    dice: Dice,
    links: Vec<LinkId>,
    dials: Vec<PeerAddress>,
    fetches: Vec<(LinkId, Vec<RecordId>)>,
    compares: Vec<LinkId>,
    streams: Vec<LinkId>,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut bed = Bed::of(OWN, false);
        for number in 1..10 {
            bed.engine.table().add(address(number), bed.now).expect("room");
        }
        Chaos {
            bed,
            dice: Dice::new(seed),
            links: vec![],
            dials: vec![],
            fetches: vec![],
            compares: vec![],
            streams: vec![],
        }
    }

    fn step(&mut self) {
        let input = self.input();
        let actions = input.map(|input| self.bed.handle(input)).unwrap_or_default();
        self.take(actions);
        let later = self.bed.now.plus(self.dice.below(400));
        // What is due is done when it is due, and each time something comes of it.
        while let Some(due) = self.bed.engine.deadline().filter(|due| *due <= later) {
            self.bed.clock(self.bed.now.max(due));
            self.bed.engine.tick(self.bed.now, &self.bed.store);
            let actions = self.bed.drain();
            let next = self.bed.engine.deadline();
            let moved = next.is_none_or(|next| next > self.bed.now);
            assert!(moved || !actions.is_empty(), "it spins: due at {due:?} and again at {next:?}");
            self.take(actions);
        }
        self.bed.clock(later);
        assert!(self.bed.engine.links.len() <= LINKS_MAX + GUESTS_MAX);
        assert!(self.bed.engine.wants.len() <= crate::sync::wants::WANTS_MAX);
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Dial(to) => self.dials.push(to),
                Action::Close(link, _) => {
                    self.links.retain(|other| *other != link);
                    let more = self.bed.handle(Input::Down(link, None));
                    self.take(more);
                }
                Action::Fetch(link, ids) => self.fetches.push((link, ids)),
                Action::Compare(link, _) | Action::Audit(link, ..) => self.compares.push(link),
                Action::CatchUp(link, _) => self.streams.push(link),
                Action::StopCatchUp(link) => self.streams.retain(|other| *other != link),
                Action::Say(..) | Action::Push(..) | Action::Synchronised | Action::Save => {}
            }
        }
    }

    fn link(&mut self) -> LinkId {
        let at = self.dice.below(self.links.len() as u64) as usize;
        self.links.get(at).copied().unwrap_or(99)
    }

    fn id(&mut self) -> RecordId {
        id(self.dice.below(300))
    }

    fn root(&mut self) -> Root {
        let until = Millis(self.bed.store.clock.0 - SETTLE_MS.min(self.dice.below(4_000)));
        let count = self.dice.below(2 * FAR_BEHIND);
        Root {
            until,
            count,
            fingerprint: [self.dice.below(2) as u8; 16],
            synchronised: count.is_multiple_of(2),
        }
    }

    fn input(&mut self) -> Option<Input> {
        let link = self.link();
        Some(match self.dice.below(14) {
            0 => self.connection(),
            1 => {
                self.links.retain(|other| *other != link);
                Input::Down(link, (self.dice.below(8) == 0).then_some(Offence::Flooded))
            }
            2 => Input::NotReached(self.dials.pop()?),
            3 => Input::Said(link, Message::Root(self.root())),
            4 => Input::Said(link, Message::RootIs(self.root())),
            5 => Input::Said(link, Message::Announce((0..5).map(|_| self.id()).collect())),
            6 => Input::Said(link, Message::Peers(vec![(remote(30), key(30)), (remote(31), key(31))])),
            7 => Input::Came(link, vec![(self.id(), true)]),
            8 => self.judged(link),
            9 => {
                let point = (self.bed.store.clock, self.id());
                self.bed.store.points.insert(point);
                Input::Committed(vec![point])
            }
            10 => {
                let (link, ids) = self.fetches.pop()?;
                Input::Fetched(link, ids)
            }
            11 => {
                let found = Found { need: vec![self.id()], have: vec![self.id()] };
                Input::Compared(self.compares.pop()?, true, (!link.is_multiple_of(3)).then_some(found))
            }
            12 => Input::Caught(self.streams.pop()?, self.dice.below(FAR_BEHIND)),
            _ => Input::Dropped(link),
        })
    }

    fn connection(&mut self) -> Input {
        let link = self.bed.next;
        self.bed.next += 1;
        self.links.push(link);
        let dialled = self.dials.pop();
        let number = 1 + self.dice.below(40) as u8;
        let at = dialled.as_ref().and_then(PeerAddress::socket).unwrap_or(remote(number));
        let key = dialled.as_ref().and_then(|to| to.key).unwrap_or(key(number));
        Input::Up { link, key, remote: at, dialled, hello: hello(self.dice.below(3)) }
    }

    fn judged(&mut self, link: LinkId) -> Input {
        let id = self.id();
        let verdict = match self.dice.below(6) {
            0 => Verdict::Accepted(id),
            1 => Verdict::Known(id),
            2 => Verdict::Deferred { id, until: self.bed.now.plus(1_000) },
            3 => full_disk(),
            _ => Verdict::Orphan { id, missing: vec![self.id(), self.id()] },
        };
        let via = [Via::Gossip, Via::Fetch, Via::Stream][self.dice.below(3) as usize];
        Input::Judged(link, via, vec![verdict])
    }
}

#[test]
fn a_tick_when_it_is_due_always_moves_on() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut chaos = Chaos::new(seed);
        (0..400).for_each(|_| chaos.step());
    }
}
