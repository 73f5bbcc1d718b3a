//! Processes that meet by a name, and what is left of it when they are killed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crossproc::{JoinHandle, Peer, Pipe, PipeEnd, RecvError, Value, spawn};
use crossproc_pipe::{AcceptError, BindError, ConnectError, Connector, Listener, WhyRefused};
use crossproc_sys::{process, socket};
use tests::dice::Dice;
use tests::forked::{self, How, copy};
use tests::outside::{self, until, until_asleep};
use tests::stage::{Stage, is_root, role, skipped};

const MINUTE: Duration = Duration::from_secs(60);

fn listen(room: &Path) -> Result<Listener<u64, u64>, BindError> {
    Listener::options().directory(room).bind("x")
}

fn connector(room: &Path) -> Connector<u64, u64> {
    Connector::new("x").directory(room)
}

/// Answers each connection until it is killed.
fn serve(room: PathBuf) {
    let listener = listen(&room).unwrap();
    let mut ends = Vec::new();
    for end in listener.incoming() {
        let end = end.unwrap();
        // A connector may be killed before it asks, or before it hears the answer.
        if let Ok(asked) = end.recv() {
            let _ = end.send(&(asked + 1));
        }
        ends.push(end);
    }
}

fn ask(end: &PipeEnd<u64, u64>, number: u64) {
    end.send(&number).unwrap();
    assert_eq!(end.recv().unwrap(), number + 1);
}

fn end(child: JoinHandle<()>) {
    child.kill().unwrap();
    assert!(child.join().is_err());
}

#[test]
fn strangers_meet_where_their_user_has_its_place() {
    let test = tests::test_name!();
    let name = "tests.strangers";
    match role().as_deref() {
        None => {
            let home = tempfile::tempdir().unwrap();
            // As a session sets it up.
            crossproc_sys::dir::Dir::make(&home.path().join("run")).unwrap();
            let stage = Stage::new(test).env("XDG_RUNTIME_DIR", home.path().join("run"));
            let mut serving = stage.again("serve").command().spawn().unwrap();
            for _ in 0..3 {
                stage.again("ask").play();
            }
            assert!(serving.wait().unwrap().success());
            // The listener took with it what it had made.
            assert_eq!(home.path().join("run").read_dir().unwrap().count(), 0);
        }
        Some("serve") => {
            let listener = Listener::<u64, String>::bind(name).unwrap();
            for end in listener.incoming().take(3) {
                let end = end.unwrap();
                let text = end.recv().unwrap();
                end.send(&(text.len() as u64)).unwrap();
                assert!(matches!(end.recv(), Err(RecvError::Closed)));
            }
        }
        Some(_) => {
            let end = Pipe::<u64, String>::connect_timeout(name, MINUTE).unwrap();
            end.send(&"how long?".to_owned()).unwrap();
            assert_eq!(end.recv().unwrap(), 9);
        }
    }
}

#[test]
fn the_usual_place_is_checked_before_it_is_used() {
    use std::os::unix::fs::{DirBuilderExt, symlink};
    if role().is_none() {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join("run");
        crossproc_sys::dir::Dir::make(&run).unwrap();
        let stage = Stage::new(tests::test_name!()).env("XDG_RUNTIME_DIR", &run);
        let place = run.join("crossproc");
        std::fs::DirBuilder::new().mode(0o755).create(&place).unwrap();
        stage.again("refused").play();
        std::fs::remove_dir(&place).unwrap();
        symlink(home.path(), &place).unwrap();
        stage.again("refused").play();
        std::fs::remove_file(&place).unwrap();
        std::fs::write(&place, b"").unwrap();
        stage.again("refused").play();
        std::fs::remove_file(&place).unwrap();
        stage.again("taken").play();
        return;
    }
    let bound = Listener::<u64, u64>::bind("x").map(drop);
    let connected = Pipe::<u64, u64>::connect("x");
    if role().as_deref() == Some("taken") {
        assert!(bound.is_ok() && connected.is_err_and(|error| error.is_nobody()));
    } else {
        assert!(matches!(bound, Err(BindError::Unsafe { .. })), "{bound:?}");
        assert!(matches!(connected, Err(ConnectError::Unsafe { .. })), "{connected:?}");
    }
}

#[test]
fn a_killed_listener_leaves_its_name_to_the_next() {
    let room = tempfile::tempdir().unwrap();
    let connector = connector(room.path());
    let mut dice = Dice::new(1);
    for round in 0..30 {
        let serving = spawn((room.path().to_owned(),), serve).unwrap();
        let end_of_it = connector.connect_timeout(MINUTE).unwrap();
        assert!(matches!(connect_again(&room), Err(BindError::InUse { .. })));
        ask(&end_of_it, round);
        // At different points of a connection.
        let asking = std::thread::spawn({
            let connector = connector.clone();
            move || connector.connect_timeout(MINUTE).map(drop)
        });
        dice.dither();
        end(serving);
        assert!(matches!(end_of_it.recv(), Err(RecvError::Closed)));
        assert_eq!(end_of_it.peer(), Peer::Died);
        // It had connected by then, or gets to the next.
        let next = spawn((room.path().to_owned(),), serve).unwrap();
        asking.join().unwrap().unwrap();
        end(next);
        assert!(connector.connect().is_err_and(|error| error.is_nobody()));
    }
}

fn connect_again(room: &tempfile::TempDir) -> Result<(), BindError> {
    listen(room.path()).map(drop)
}

/// Binds when all are ready, and holds the name until it is told; says whether it got it.
fn take_over(room: PathBuf, ready: Value<u64>, answered: Value<u64>, all: u64) -> bool {
    ready.fetch_add(1);
    until("all are ready", || ready.get() == all);
    let bound = listen(&room);
    assert!(matches!(bound, Ok(_) | Err(BindError::InUse { .. })), "{bound:?}");
    answered.fetch_add(1);
    until("all have tried", || answered.get() == all);
    let won = bound.is_ok();
    // Kept as long as the process lives: then the name is stale again.
    std::mem::forget(bound);
    won
}

#[test]
fn of_those_who_take_over_a_stale_name_at_once_one_gets_it() {
    const RIVALS: u64 = 3;
    let room = tempfile::tempdir().unwrap();
    let first = spawn((room.path().to_owned(),), serve).unwrap();
    ask(&connector(room.path()).connect_timeout(MINUTE).unwrap(), 1);
    end(first);
    for _ in 0..15 {
        let (ready, answered) = (Value::new(0u64).unwrap(), Value::new(0u64).unwrap());
        let rivals: Vec<_> = (0..RIVALS)
            .map(|_| {
                let what = (room.path().to_owned(), ready.clone(), answered.clone(), RIVALS);
                spawn(what, take_over).unwrap()
            })
            .collect();
        let won = rivals.into_iter().map(|rival| rival.join().unwrap());
        assert_eq!(won.filter(|&won| won).count(), 1);
    }
}

/// In a process of its own: a copy lives on, with all descriptors, when the listener has died.
fn die_with_a_copy(room: PathBuf, copies: Value<u64>) {
    let listener = listen(&room).unwrap();
    let Some(_copy) = copy(How::Fork).unwrap() else {
        let refused = matches!(listener.try_accept(), Err(AcceptError::NotOwned))
            && matches!(listener.accept(), Err(AcceptError::NotOwned))
            && listener.last_refusal().is_none();
        drop(listener);
        // The drop took nothing from the parent, either.
        let refused = refused && matches!(listen(&room), Err(BindError::InUse { .. }));
        copies.set(if refused { u64::from(process::pid()) } else { u64::MAX }).unwrap();
        loop {
            std::thread::park();
        }
    };
    until("the copy has looked", || copies.get() != 0);
    process::kill_self(libc::SIGKILL);
}

#[test]
fn a_forked_child_of_a_dead_listener_keeps_nothing() {
    let room = tempfile::tempdir().unwrap();
    let copies = Value::new(0u64).unwrap();
    let child = spawn((room.path().to_owned(), copies.clone()), die_with_a_copy).unwrap();
    assert!(child.join().is_err());
    let copy = u32::try_from(copies.get()).expect("the copy was no listener");
    assert!(outside::is_whole(copy));
    assert!(connector(room.path()).connect().is_err_and(|error| error.is_nobody()));
    // Who connects to the old socket all the same would wait for ever: nobody finds it.
    let listener = listen(room.path()).unwrap();
    let connecting = std::thread::spawn({
        let connector = connector(room.path());
        move || connector.connect().unwrap()
    });
    assert!(listener.accept_timeout(MINUTE).unwrap().is_some());
    connecting.join().unwrap();
    outside::Seen::new(copy).kill();
}

/// Connects over and over until it is killed.
fn insist(room: PathBuf) {
    loop {
        let end = connector(&room).connect().unwrap();
        end.send(&1).unwrap();
        let _ = end.recv();
    }
}

#[test]
fn killed_connectors_cost_a_listener_nothing() {
    let room = tempfile::tempdir().unwrap();
    let listener = listen(room.path()).unwrap();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut dice = Dice::new(2);
    for _ in 0..40 {
        let insisting = spawn((room.path().to_owned(),), insist).unwrap();
        let served = dice.roll(4);
        for _ in 0..served {
            if let Some(end) = listener.accept_timeout(MINUTE).unwrap() {
                if let Ok(asked) = end.recv() {
                    let _ = end.send(&(asked + 1));
                }
            }
        }
        // In the midst of the next one.
        if dice.roll(2) == 0 {
            let _ = listener.try_accept().unwrap();
        }
        dice.dither();
        end(insisting);
        while let Some(end) = listener.try_accept().unwrap() {
            while end.recv().is_ok() {}
        }
    }
    // Other tests of this process open and close descriptors; a leak would be of hundreds.
    until("the descriptors are closed", || open() < 100);
    let child = spawn((room.path().to_owned(),), ask_once).unwrap();
    let end = listener.accept_timeout(MINUTE).unwrap().unwrap();
    end.send(&(end.recv().unwrap() + 1)).unwrap();
    child.join().unwrap();
}

fn ask_once(room: PathBuf) {
    ask(&connector(&room).connect().unwrap(), 5);
}

#[test]
fn users_that_may_not_are_refused_and_the_listener_goes_on() {
    const NOBODY: u32 = 65534;
    if !is_root() {
        skipped(tests::test_name!(), "only root can be another user");
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let others = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(room.path(), others).unwrap();
    // Another may: the socket is open to all, and it is the listener that asks who comes.
    let open = Listener::<u64, u64>::options().directory(room.path()).allow_user(NOBODY - 1);
    let listener = open.bind("x").unwrap();
    let child = spawn((room.path().to_owned(), NOBODY), as_user).unwrap();
    until("it is refused", || {
        assert!(listener.try_accept().unwrap().is_none());
        // Before, it looks whose the listener is, and goes.
        listener.last_refusal().is_some_and(|refusal| refusal.why == WhyRefused::User)
    });
    assert_eq!(child.join().unwrap(), "refused");
    assert_eq!(listener.last_refusal().unwrap().peer.uid, NOBODY);
    let child = spawn((room.path().to_owned(), NOBODY - 1), as_user).unwrap();
    let end = listener.accept_timeout(MINUTE).unwrap().unwrap();
    end.send(&(end.recv().unwrap() + 1)).unwrap();
    assert_eq!(child.join().unwrap(), "connected");
    drop(listener);
    // As usual: the kernel lets no other user as far as that.
    let _listener = listen(room.path()).unwrap();
    let child = spawn((room.path().to_owned(), NOBODY), as_user).unwrap();
    assert_eq!(child.join().unwrap(), "no way");
}

/// Connects as another user, to a listener of root.
fn as_user(room: PathBuf, uid: u32) -> String {
    // SAFETY: a number only.
    assert_eq!(unsafe { libc::setresuid(uid, uid, uid) }, 0);
    // Root's is not this user's, so it is none by itself.
    let foreign = connector(&room).connect();
    match foreign {
        Err(ConnectError::Foreign { expected, found: 0, .. }) => assert_eq!(expected, uid),
        Err(ConnectError::Io { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
            return "no way".to_owned();
        }
        other => panic!("{other:?}"),
    }
    match connector(&room).of_user(0).connect() {
        Ok(end) => {
            ask(&end, 1);
            "connected".to_owned()
        }
        Err(ConnectError::Refused { uid: mine, .. }) => {
            assert_eq!(mine, uid);
            "refused".to_owned()
        }
        Err(error) => panic!("{error}"),
    }
}

fn pass_on(end: PipeEnd<u64, u64>) {
    while let Ok(asked) = end.recv() {
        end.send(&(asked + 1)).unwrap();
    }
}

#[test]
fn an_end_that_was_accepted_goes_on_to_a_child() {
    let room = tempfile::tempdir().unwrap();
    let listener = listen(room.path()).unwrap();
    let connecting = std::thread::spawn({
        let connector = connector(room.path());
        move || connector.connect().unwrap()
    });
    let there = listener.accept().unwrap();
    let here = connecting.join().unwrap();
    drop(listener);
    let child = spawn((there,), pass_on).unwrap();
    ask(&here, 1);
    until_asleep(child.pid());
    ask(&here, 2);
    end(child);
    assert!(matches!(here.recv(), Err(RecvError::Closed)));
    assert_eq!(here.peer(), Peer::Died);
}

#[test]
fn a_stopped_connector_stops_nobody() {
    let room = tempfile::tempdir().unwrap();
    let listener = listen(room.path()).unwrap();
    // It says what it wants when it is told, and then is stopped.
    let insisting = spawn((room.path().to_owned(),), insist).unwrap();
    drop(listener.accept_timeout(MINUTE).unwrap());
    outside::stop(insisting.pid());
    while listener.try_accept().unwrap().is_some() {}
    let child = spawn((room.path().to_owned(),), ask_once).unwrap();
    let end_of_it = listener.accept_timeout(MINUTE).unwrap().unwrap();
    end_of_it.send(&(end_of_it.recv().unwrap() + 1)).unwrap();
    child.join().unwrap();
    end(insisting);
}

#[test]
fn a_child_that_was_forked_meanwhile_keeps_no_connection_open() {
    let room = tempfile::tempdir().unwrap();
    let child = spawn((room.path().to_owned(),), refuse_after_fork).unwrap();
    child.join().unwrap();
}

fn refuse_after_fork(room: PathBuf) {
    let listener = listen(&room).unwrap();
    let raw = socket::connect(&room.join("x.sock"), MINUTE).unwrap();
    assert!(listener.try_accept().unwrap().is_none());
    let sleeping = forked::fork(|| {
        loop {
            std::thread::park();
        }
    });
    socket::send_with_fds(&raw, b"rubbish", &[]).unwrap();
    assert!(listener.try_accept().unwrap().is_none());
    // The copy has it too.
    assert_eq!(socket::recv(&raw, 64).unwrap(), b"");
    sleeping.kill();
    sleeping.wait();
}
