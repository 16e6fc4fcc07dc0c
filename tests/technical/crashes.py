"""Crash reports as runtimes write them, each twice: on another machine, in another build or language."""

from __future__ import annotations

# name → (signature that both have, one report, the same crash told elsewhere)
SAME: dict[str, tuple[str, str, str]] = {
    "python": (
        "trace:KeyError@orders.total<orders.checkout",
        """Traceback (most recent call last):
  File "/srv/shop/orders.py", line 41, in checkout
    return self.total(plan)
  File "/srv/shop/orders.py", line 88, in total
    return self.items[plan]["price"]
KeyError: 'plan_id'
""",
        """Traceback (most recent call last):
  File "C:\\\\apps\\\\shop-4.2\\\\orders.py", line 43, in checkout
    return self.total(plan)
           ^^^^^^^^^^^^^^^^
  File "C:\\\\apps\\\\shop-4.2\\\\orders.py", line 97, in total
    return self.items[plan]["price"]
           ~~~~~~~~~~^^^^^^
KeyError: 'plan_id'
""",
    ),
    "python, chained": (
        "trace:ExportError@jobs.run",
        """Traceback (most recent call last):
  File "/app/store.py", line 7, in read
    return rows[name]
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/jobs.py", line 19, in run
    raise ExportError("3 rows")
jobs.ExportError: 3 rows
""",
        """Traceback (most recent call last):
  File "/opt/eve/store.py", line 9, in read
    return rows[name]
KeyError: 'a'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/opt/eve/jobs.py", line 23, in run
    raise ExportError("14 rows")
jobs.ExportError: 14 rows
""",
    ),
    "java, caused by": (
        "trace:SQLException@com.acme.db.Pool.query<com.acme.db.Pool.all",
        """Exception in thread "main" java.lang.IllegalStateException: order 1234 failed
\tat com.acme.shop.Checkout.pay(Checkout.java:120)
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: java.sql.SQLException: no connection to 10.0.0.7:5432
\tat com.acme.db.Pool.query(Pool.java:31)
\tat com.acme.db.Pool.all(Pool.java:12)
\t... 2 more
""",
        """Exception in thread "worker-9" java.lang.IllegalStateException: order 99 failed
\tat com.acme.shop.Checkout.pay(Checkout.java:131)
\tat java.base/java.lang.Thread.run(Thread.java:1583)
Caused by: java.sql.SQLException: no connection to 192.168.1.20:6432
\tat com.acme.db.Pool.query(Pool.java:30)
\tat com.acme.db.Pool.all(Pool.java:14)
\t... 9 more
""",
    ),
    "java, lambda": (
        "trace:NullPointerException@com.acme.Cart.run<com.acme.Cart.each",
        """java.lang.NullPointerException
\tat com.acme.Cart.lambda$run$3(Cart.java:99)
\tat java.util.ArrayList.forEach(ArrayList.java:1511)
\tat com.acme.Cart.each(Cart.java:12)
""",
        """java.lang.NullPointerException
\tat com.acme.Cart.lambda$run$11(Cart.java:104)
\tat java.util.ArrayList.forEach(ArrayList.java:1596)
\tat com.acme.Cart$$Lambda$204/0x0000000800c5.apply(Unknown Source)
\tat com.acme.Cart.each(Cart.java:13)
""",
    ),
    "kotlin": (
        "trace:UninitializedPropertyAccessException@com.acme.ui.Screen.onCreate<com.acme.ui.Host.show",
        """kotlin.UninitializedPropertyAccessException: lateinit property view has not been initialized
    at com.acme.ui.Screen.onCreate(Screen.kt:21)
    at kotlinx.coroutines.DispatchedTask.run(DispatchedTask.kt:108)
    at com.acme.ui.Host.show(Host.kt:55)
""",
        """kotlin.UninitializedPropertyAccessException: lateinit property view has not been initialized
    at com.acme.ui.Screen.onCreate(Screen.kt:25)
    at com.acme.ui.Host.show(Host.kt:60)
""",
    ),
    "javascript, v8": (
        "trace:TypeError@exportRows<HTMLButtonElement.onClick",
        """Uncaught TypeError: Cannot read properties of undefined (reading 'rows')
    at exportRows (https://app.example.com/static/main.3f2a9c1b.js:2:1889)
    at async Promise.all (index 0)
    at HTMLButtonElement.onClick (https://app.example.com/static/main.3f2a9c1b.js:2:77)
""",
        """TypeError: Cannot read properties of undefined (reading 'rows')
    at exportRows (https://staging.example.org/static/main.99ab01cd.js:1:4)
    at HTMLButtonElement.onClick (webpack:///./src/main.js:14:3)
""",
    ),
    "node": (
        "trace:TypeError@Server.handle<route",
        """TypeError: body.map is not a function
    at Server.handle (/srv/api/server.js:10:5)
    at node:internal/process/task_queues:95:5
    at route (/srv/api/routes.js:3:1)
    at Layer.next (/srv/api/node_modules/express/lib/router/layer.js:95:5)
""",
        """TypeError: body.map is not a function
    at Server.handle (file:///C:/api/server.js:12:9)
    at async route (file:///C:/api/routes.js:4:2)
    at processTicksAndRejections (node:internal/process/task_queues:105:5)
""",
    ),
    "javascript, gecko": (
        "trace:TypeError@exportRows<onClick",
        """TypeError: can't access property "rows", table is undefined
exportRows@https://app.example.com/static/main.3f2a9c1b.js:2:1889
onClick@https://app.example.com/static/main.3f2a9c1b.js:2:77
""",
        """TypeError: can't access property "rows", table is undefined
exportRows@http://localhost:8080/main.js:44:9
onClick@http://localhost:8080/main.js:12:1
""",
    ),
    "c#, in another language": (
        "trace:NullReferenceException@Acme.Reports.ReportBuilder.BuildAsync<Acme.Reports.Program.Main",
        """Unhandled exception. System.NullReferenceException: Object reference not set to an instance.
   at Acme.Reports.ReportBuilder.<BuildAsync>b__12_0(Row r) in C:\\build\\ReportBuilder.cs:line 77
   at System.Linq.Enumerable.ToList[TSource](IEnumerable`1 source)
   at Acme.Reports.Program.Main(String[] args)
""",
        """System.NullReferenceException: Der Objektverweis wurde nicht auf eine Objektinstanz festgelegt.
   bei Acme.Reports.ReportBuilder.<BuildAsync>b__14_2(Row r) in D:\\src\\ReportBuilder.cs:Zeile 81.
   bei System.Linq.Enumerable.ToList[TSource](IEnumerable`1 source)
   bei Acme.Reports.Program.Main(String[] args)
""",
    ),
    "c#, a state machine in french": (
        "trace:InvalidOperationException@Acme.Mail.Sender.SendAsync<Acme.Mail.Queue.Drain",
        """System.InvalidOperationException: Sequence contains no elements
   at Acme.Mail.Sender.<SendAsync>d__4.MoveNext()
   at System.Runtime.CompilerServices.TaskAwaiter.ThrowForNonSuccess(Task task)
   at Acme.Mail.Queue.Drain()
""",
        """System.InvalidOperationException: La séquence ne contient aucun élément
   à Acme.Mail.Sender.<SendAsync>d__9.MoveNext()
   à Acme.Mail.Queue.Drain()
""",
    ),
    "ruby": (
        "trace:NoMethodError@full_name<show",
        """app/models/user.rb:12:in `full_name': undefined method `strip' for nil:NilClass (NoMethodError)
\tfrom app/controllers/users_controller.rb:44:in `show'
\tfrom /usr/lib/ruby/gems/3.3.0/gems/rack-3.1/lib/rack.rb:9:in `call'
""",
        """/srv/app/models/user.rb:15:in 'full_name': undefined method 'strip' for nil (NoMethodError)
\tfrom /srv/app/controllers/users_controller.rb:51:in 'block in show'
""",
    ),
    "go": (
        "trace:panic@main.process<main.main",
        """panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.process(0xc000010000, 0x3)
\t/work/u/app/main.go:22 +0x1d
main.main()
\t/work/u/app/main.go:9 +0x20
""",
        """panic: runtime error: index out of range [7] with length 2

goroutine 34 [running]:
main.process(0xc0000a2008, 0x2)
\t/build/main.go:25 +0x1d
main.main()
\t/build/main.go:11 +0x30
""",
    ),
    "php": (
        "trace:TypeError@App\\Mail->send<App\\Kernel->run",
        """PHP Fatal error:  Uncaught TypeError: strlen(): Argument #1 is no string in /var/www/Mail.php:31
Stack trace:
#0 /var/www/html/index.php(12): App\\Mail->send(Object(App\\User))
#1 /var/www/html/index.php(40): App\\Kernel->run()
#2 {main}
""",
        """PHP Fatal error:  Uncaught TypeError: strlen(): Argument #1 is no string in /data/www/Mail.php:35
Stack trace:
#0 /data/www/public/index.php(15): App\\Mail->send(Object(App\\User))
#1 /data/www/public/index.php(44): App\\Kernel->run()
""",
    ),
    "rust": (
        "trace:panic@shop::cart::total<shop::main",
        """thread 'main' panicked at src/cart.rs:4:5:
index out of bounds: the len is 3 but the index is 5
stack backtrace:
   0: std::panicking::begin_panic_handler
             at /rustc/9fc6b4312/library/std/src/panicking.rs:697:5
   1: core::panicking::panic_fmt
   2: shop::cart::total::h1a2b3c4d5e6f7a8b
             at ./src/cart.rs:4:5
   3: shop::main
             at ./src/main.rs:9:5
""",
        """thread 'worker' panicked at src/cart.rs:9:17:
index out of bounds: the len is 1 but the index is 2
stack backtrace:
   0: std::panicking::begin_panic_handler
   1: shop::cart::total::h00ff00ff00ff00ff
             at /build/src/cart.rs:9:17
   2: shop::main
""",
    ),
    "native": (
        "trace:SIGSEGV@nsDocShell::LoadURI<main",
        """Program received signal SIGSEGV, Segmentation fault.
#0  0x00007f12ab340000 in nsDocShell::LoadURI (this=0x0) at nsDocShell.cpp:99
#1  0x0000000000401136 in main (argc=1) at main.c:3
""",
        """Thread 3 received signal SIGSEGV, Segmentation fault.
#0  0x0000560000001234 in nsDocShell::LoadURI (this=0x8) at /build/nsDocShell.cpp:104
#1  0x0000560000004321 in main (argc=4) at /build/main.c:7
""",
    ),
}

CODES = {
    "The browser says ERR_CONNECTION_RESET.": ["code:ERR_CONNECTION_RESET"],
    "It ends with ECONNREFUSED 10.1.2.3:5432": ["code:ECONNREFUSED"],
    "ORA-00942: table or view does not exist": ["code:ORA-00942"],
    "Setup failed with 0x80070005": ["code:0x80070005"],
    "SETUP FAILED WITH 0X80070005": ["code:0x80070005"],
    "SQLSTATE[23505]: unique violation": ["code:SQLSTATE 23505"],
    "After a minute: 504 Gateway Timeout": ["code:HTTP 504"],
    "HTTP/1.1 502 and then nothing": ["code:HTTP 502"],
    "E11000 duplicate key": ["code:E11000"],
}

PROSE = (
    "",
    "Hello, how do I change my plan? I have 404 users and 500 items.",
    "There is an error on the page, please help. Nothing works since Monday!",
    "We met at Berlin (the station) at 9:30 and bei Anna (zu Hause).",
    "My address is ada@example.com:25 and my order is 4f1c9d2e.",
    "The exception proves the rule; no failure is an option, says my manager.",
    "See ISO-8601 and RFC-2822, chapter 5.1: an Error occurred in the report.",
    "I paid 500 EUR on 2026-01-02, invoice INV-00942.",
)

DIFFERENT = (
    (
        "another function",
        "java.lang.NullPointerException\n\tat com.acme.Cart.pay(Cart.java:1)",
        "java.lang.NullPointerException\n\tat com.acme.Cart.add(Cart.java:1)",
    ),
    (
        "another exception",
        "java.lang.NullPointerException\n\tat com.acme.Cart.pay(Cart.java:1)",
        "java.lang.IllegalStateException\n\tat com.acme.Cart.pay(Cart.java:1)",
    ),
    (
        "another caller",
        'Traceback\n  File "/a/one.py", line 1, in go\n  File "/a/two.py", line 1, in read\nKeyError: 1',
        'Traceback\n  File "/a/six.py", line 1, in go\n  File "/a/two.py", line 1, in read\nKeyError: 1',
    ),
    (
        "another key",
        "KeyError: 'plan'",
        "KeyError: 'price'",
    ),
)
